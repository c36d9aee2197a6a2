{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order'}},
    indexes=[
        {'columns': ['order_id', 'order_item_id'], 'unique': true},
        {'columns': ['product_id']},
        {'columns': ['seller_id']},
    ],
) }}

with order_items as (
    select * from {{ ref('stg_order_items') }}
    {{ keep_changed('order_id', 'order') }}
),

versions as (
    select
        order_items.*,
        row_number() over (partition by order_id, order_item_id order by _batch_date desc) as recency
    from order_items
),

final as (
    select
        order_id,
        order_item_id,
        product_id,
        seller_id,
        shipping_limit_at,
        price,
        freight_value
    from versions
    where recency = 1
)

select * from final
