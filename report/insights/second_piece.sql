-- Is the second piece of the same product in one order cheaper to send? And what does its freight amount to?
--
-- Compared within product and state of the customer: orders with one piece of a product against orders with two pieces
-- of the same product (one seller). Freight is per piece; each pair of product and state counts with its orders of two.
-- The standard error of the ratio takes a product as one draw (the ratio's residuals, summed by product).
-- extra_freight: freight of all pieces after the dearest one in orders of one seller.
with orders as (
    select
        order_id,
        customer_key,
        item_count,
        product_count
    from marts.fct_orders
    where
        purchased_at >= %(first_day)s
        and purchased_at < %(day_after)s
        and delivered_at is not null
        and seller_count = 1
),

order_freight as (
    select
        orders.order_id,
        orders.item_count,
        orders.product_count,
        dim_customer.state,
        min(dim_product.product_id) as product_id,
        sum(fct_order_items.price) as revenue,
        sum(fct_order_items.freight_value) as freight,
        sum(fct_order_items.freight_value) - max(fct_order_items.freight_value) as extra_freight
    from orders
    inner join marts.dim_customer on orders.customer_key = dim_customer.customer_key
    inner join marts.fct_order_items on orders.order_id = fct_order_items.order_id
    inner join marts.dim_product on fct_order_items.product_key = dim_product.product_key
    group by orders.order_id, orders.item_count, orders.product_count, dim_customer.state
),

pairs as (
    select
        product_id,
        state,
        sum(case when item_count = 1 then 1 else 0 end) as orders_of_one,
        sum(case when item_count = 2 then 1 else 0 end) as orders_of_two,
        avg(case when item_count = 1 then freight end) as freight_alone,
        avg(case when item_count = 2 then freight / 2 end) as freight_of_two
    from order_freight
    where product_count = 1 and item_count in (1, 2)
    group by product_id, state
    having sum(case when item_count = 1 then 1 else 0 end) > 0 and sum(case when item_count = 2 then 1 else 0 end) > 0
),

compared as (
    select
        count(*) as pairs_compared,
        count(distinct product_id) as products_compared,
        sum(orders_of_two) as orders_of_two,
        sum(orders_of_two * freight_alone) as freight_alone,
        sum(orders_of_two * freight_of_two) as freight_of_two
    from pairs
),

residuals as (
    select
        pairs.product_id,
        sum(
            pairs.orders_of_two
            * (pairs.freight_of_two - compared.freight_of_two / nullif(compared.freight_alone, 0) * pairs.freight_alone)
        ) as residual
    from pairs
    cross join compared
    group by pairs.product_id
),

totals as (
    select
        count(*) as orders,
        sum(case when item_count = 1 then 1 else 0 end) as orders_of_one_piece,
        sum(case when item_count > 1 then 1 else 0 end) as orders_of_more,
        sum(extra_freight) as extra_freight,
        1.0 * sum(item_count) / nullif(count(*), 0) as pieces_per_order,
        1.0 * sum(case when item_count > 1 then revenue end) / nullif(sum(case when item_count > 1 then 1 end), 0)
            as value_of_orders_of_more,
        1.0 * sum(case when item_count = 1 then revenue end) / nullif(sum(case when item_count = 1 then 1 end), 0)
            as value_of_orders_of_one
    from order_freight
),

cheap as (
    select
        count(*) as cheap_orders,
        1.0 * sum(freight) / nullif(sum(revenue), 0) as cheap_freight_share
    from order_freight
    where item_count = 1 and revenue < 25
)

select
    totals.*,
    1.0 * totals.orders_of_one_piece / nullif(totals.orders, 0) as one_piece_share,
    totals.extra_freight / 2 as half_of_extra_freight,
    cast(
        12 * extract(year from age(%(day_after)s, %(first_day)s))
        + extract(month from age(%(day_after)s, %(first_day)s))
        as integer
    ) as months,
    cheap.cheap_orders,
    cheap.cheap_freight_share,
    compared.pairs_compared,
    compared.products_compared,
    compared.orders_of_two,
    compared.freight_alone / nullif(compared.orders_of_two, 0) as freight_alone,
    compared.freight_of_two / nullif(compared.orders_of_two, 0) as freight_of_two,
    compared.freight_of_two / nullif(compared.freight_alone, 0) as freight_ratio,
    (select sqrt(sum(residual * residual)) from residuals) / nullif(compared.freight_alone, 0) as freight_ratio_error
from totals
cross join compared
cross join cheap
