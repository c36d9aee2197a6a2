{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order'}},
    indexes=[
        {'columns': ['order_id'], 'unique': true},
        {'columns': ['customer_id']},
    ],
) }}

with orders as (
    select * from {{ ref('stg_orders') }}
    {{ keep_changed('order_id', 'order') }}
),

versions as (
    select
        orders.*,
        row_number() over (partition by order_id order by _batch_date desc) as recency
    from orders
),

final as (
    select
        order_id,
        customer_id,
        order_status,
        purchased_at,
        approved_at,
        handed_to_carrier_at,
        delivered_at,
        estimated_delivery_at
    from versions
    where recency = 1
)

select * from final
