-- Sellers who sold in the six months before the last two, and not in the last two: is that new?
--
-- The same count a year earlier says what is usual.
with sellers as (
    select
        dim_seller.seller_id,
        sum(
            case
                when
                    fct_orders.purchased_at >= cast(%(day_after)s as date) - interval '8 months'
                    and fct_orders.purchased_at < cast(%(day_after)s as date) - interval '2 months'
                    then fct_order_items.price
            end
        ) as revenue_before,
        max(case when fct_orders.purchased_at >= cast(%(day_after)s as date) - interval '2 months' then 1 else 0 end)
            as is_active,
        sum(
            case
                when
                    fct_orders.purchased_at >= cast(%(day_after)s as date) - interval '20 months'
                    and fct_orders.purchased_at < cast(%(day_after)s as date) - interval '14 months'
                    then fct_order_items.price
            end
        ) as year_ago_revenue_before,
        max(
            case
                when
                    fct_orders.purchased_at >= cast(%(day_after)s as date) - interval '14 months'
                    and fct_orders.purchased_at < cast(%(day_after)s as date) - interval '12 months'
                    then 1
                else 0
            end
        ) as year_ago_is_active
    from marts.fct_order_items
    inner join marts.fct_orders on fct_order_items.order_id = fct_orders.order_id
    inner join marts.dim_seller on fct_order_items.seller_key = dim_seller.seller_key
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
    group by dim_seller.seller_id
)

select
    sum(case when revenue_before > 0 then 1 else 0 end) as sellers,
    sum(case when revenue_before > 0 then 1 - is_active else 0 end) as silent,
    1.0 * sum(case when revenue_before > 0 then (1 - is_active) * revenue_before end) / nullif(sum(revenue_before), 0)
        as silent_revenue_share,
    sum(case when year_ago_revenue_before > 0 then 1 else 0 end) as year_ago_sellers,
    sum(case when year_ago_revenue_before > 0 then 1 - year_ago_is_active else 0 end) as year_ago_silent,
    1.0 * sum(case when year_ago_revenue_before > 0 then (1 - year_ago_is_active) * year_ago_revenue_before end)
    / nullif(sum(year_ago_revenue_before), 0) as year_ago_silent_revenue_share
from sellers
