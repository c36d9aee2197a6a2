{{ config(
    meta={'replaces': {'column': 'product_category_name', 'entity': 'category'}},
    indexes=[{'columns': ['product_category_name'], 'unique': true}],
) }}

with category_translation as (
    select * from {{ ref('stg_category_translation') }}
    {{ keep_changed('product_category_name', 'category') }}
),

versions as (
    select
        category_translation.*,
        row_number() over (partition by product_category_name order by _batch_date desc) as recency
    from category_translation
),

final as (
    select
        product_category_name,
        product_category_name_english
    from versions
    where recency = 1
)

select * from final
