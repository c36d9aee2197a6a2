{{ config(
    meta={'replaces': {'column': 'customer_id', 'entity': 'customer'}},
    indexes=[
        {'columns': ['customer_id'], 'unique': true},
        {'columns': ['customer_unique_id']},
    ],
) }}

with customers as (
    select * from {{ ref('stg_customers') }}
    {{ keep_changed('customer_id', 'customer') }}
),

versions as (
    select
        customers.*,
        row_number() over (partition by customer_id order by _batch_date desc) as recency
    from customers
),

final as (
    select
        customer_id,
        customer_unique_id,
        zip_code_prefix,
        city,
        state
    from versions
    where recency = 1
)

select * from final
