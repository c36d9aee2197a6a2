-- Products most often bought in two pieces or more in one order: where to try cheaper freight first.
with order_products as (
    select
        fct_order_items.order_id,
        fct_order_items.product_key,
        count(*) as pieces,
        sum(fct_order_items.price) as revenue,
        sum(fct_order_items.freight_value) as freight
    from marts.fct_order_items
    inner join marts.fct_orders on fct_order_items.order_id = fct_orders.order_id
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.item_count > fct_orders.product_count
    group by fct_order_items.order_id, fct_order_items.product_key
    having count(*) > 1
)

select
    dim_product.product_id,
    max(dim_product.product_category_name_english) as category,
    count(*) as orders_of_two_or_more,
    sum(order_products.pieces) as pieces,
    round(sum(order_products.revenue) / sum(order_products.pieces), 2) as price_per_piece,
    round(sum(order_products.freight) / sum(order_products.pieces), 2) as freight_per_piece
from order_products
inner join marts.dim_product on order_products.product_key = dim_product.product_key
group by dim_product.product_id
having count(*) >= 5
order by orders_of_two_or_more desc, dim_product.product_id asc
limit 50
