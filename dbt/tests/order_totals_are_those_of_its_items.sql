-- Accounting identity: an order's items_value, order_freight_value and item_count are the sums over fct_order_items.
with orders as (
    select * from {{ tested_rows_of(ref('fct_orders')) }}
),

items_per_order as (
    select
        order_id,
        count(*) as item_count,
        sum(price) as items_value,
        sum(freight_value) as freight_value
    from {{ tested_rows_of(ref('fct_order_items')) }}
    group by order_id
)

select
    orders.order_id,
    orders.item_count,
    orders.items_value,
    orders.order_freight_value,
    items_per_order.item_count as counted_items,
    items_per_order.items_value as summed_prices,
    items_per_order.freight_value as summed_freight
from orders
left join items_per_order on orders.order_id = items_per_order.order_id
where
    orders.item_count <> coalesce(items_per_order.item_count, 0)
    or orders.items_value <> coalesce(items_per_order.items_value, 0)
    or orders.order_freight_value <> coalesce(items_per_order.freight_value, 0)
    or orders.order_value <> orders.items_value + orders.order_freight_value
