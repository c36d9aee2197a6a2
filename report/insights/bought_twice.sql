-- Products most often bought in two pieces or more in one order: where to try cheaper freight first.
with order_products as (
    select
        fct_order_items.order_id,
        dim_product.product_id,
        max(dim_product.product_category_name_english) as category,
        count(*) as pieces,
        sum(fct_order_items.price) as revenue,
        sum(fct_order_items.freight_value) as freight
    from marts.fct_order_items
    inner join marts.fct_orders on fct_order_items.order_id = fct_orders.order_id
    inner join marts.dim_product on fct_order_items.product_key = dim_product.product_key
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
    group by fct_order_items.order_id, dim_product.product_id
)

select
    product_id,
    max(category) as category,
    count(*) as orders,
    sum(case when pieces > 1 then 1 else 0 end) as orders_of_two_or_more,
    round(sum(revenue) / sum(pieces), 2) as price_per_piece,
    round(sum(freight) / sum(pieces), 2) as freight_per_piece
from order_products
group by product_id
having sum(case when pieces > 1 then 1 else 0 end) >= 5
order by orders_of_two_or_more desc, product_id
limit 50
