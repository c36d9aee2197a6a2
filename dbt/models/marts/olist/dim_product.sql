{{ config(
    meta={'replaces': {'column': 'product_id', 'entity': 'product'}},
    incremental_predicates=["product_key <> 'unknown'"],
    indexes=[{'columns': ['product_id']}, {'columns': ['product_category_name']}],
) }}

{% set attributes = {
    'product_category_name': 'text',
    'product_category_name_english': 'text',
    'product_name_length': 'integer',
    'product_description_length': 'integer',
    'product_photo_count': 'integer',
    'product_weight_g': 'integer',
    'product_length_cm': 'integer',
    'product_height_cm': 'integer',
    'product_width_cm': 'integer',
} %}

with {{ versions_by_batch('product', ref('stg_products'), 'product_id', product_attributes(), entity='product') }},

translations as (
    select * from {{ ref('int_category_translation_current') }}
),

delivered as (
    select
        product_versions.product_id,
        coalesce(product_versions.product_category_name, 'unknown') as product_category_name,
        coalesce(
            translations.product_category_name_english, product_versions.product_category_name, 'unknown'
        ) as product_category_name_english,
        product_versions.product_name_length,
        product_versions.product_description_length,
        product_versions.product_photo_count,
        product_versions.product_weight_g,
        product_versions.product_length_cm,
        product_versions.product_height_cm,
        product_versions.product_width_cm,
        product_versions.valid_from,
        product_versions.valid_to,
        false as is_inferred
    from product_versions
    left join translations on product_versions.product_category_name = translations.product_category_name
),

order_items as (
    select product_id from {{ ref('int_order_items_current') }}
    {{ keep_changed('product_id', 'missing_product') }}
),

undelivered as (
    select distinct order_items.product_id
    from order_items
    where not exists (
        select 1 from {{ ref('stg_products') }} as products
        where products.product_id = order_items.product_id
    )
),

inferred as (
    select
        product_id,
        {{ undescribed(attributes) | indent }}
    from undelivered
    where product_id is not null
),

{{ members('product_key', 'product_id', attributes, ctes=['delivered', 'inferred']) }},

final as (
    select
        product_key,
        product_id,
        product_category_name,
        product_category_name_english,
        product_name_length,
        product_description_length,
        product_photo_count,
        product_weight_g,
        product_length_cm,
        product_height_cm,
        product_width_cm,
        valid_from,
        valid_to,
        valid_to is null as is_current,
        is_inferred
    from members
)

select * from final
