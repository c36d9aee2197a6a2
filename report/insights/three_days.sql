-- How does the review score fall with the days a parcel is late, and how much money do the worst delays touch?
--
-- Delivered orders with a review. Also within seller (orders of one seller; sellers with ten late and ten punctual orders
-- or more), weighted with each seller's late orders: what is left if the seller is the same.
with last_reviews as (
    select distinct on (order_id)
        order_id,
        review_score
    from marts.fct_reviews
    order by order_id, answered_at desc nulls last, review_id
),

orders as (
    select
        fct_orders.order_id,
        fct_orders.seller_count,
        fct_orders.order_value,
        fct_orders.delay_days,
        last_reviews.review_score,
        case when fct_orders.is_late then 1 else 0 end as is_late,
        case when fct_orders.is_late and fct_orders.delay_days > 3 then 1 else 0 end as is_very_late,
        case when last_reviews.review_score <= 2 then 1 else 0 end as is_unhappy
    from marts.fct_orders
    inner join last_reviews on fct_orders.order_id = last_reviews.order_id
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delivered_at is not null
        and last_reviews.review_score is not null
),

bands as (
    select
        count(*) as reviews,
        sum(1 - is_late) as punctual_reviews,
        avg(case when is_late = 0 then review_score end) as punctual_score,
        sum(is_late - is_very_late) as little_late_reviews,
        avg(case when is_late = 1 and is_very_late = 0 then review_score end) as little_late_score,
        stddev_samp(case when is_late = 1 and is_very_late = 0 then review_score end) as little_late_spread,
        sum(is_very_late) as very_late_reviews,
        avg(case when is_very_late = 1 then review_score end) as very_late_score,
        stddev_samp(case when is_very_late = 1 then review_score end) as very_late_spread,
        sum(is_very_late * is_unhappy) as very_late_unhappy,
        sum(is_very_late * order_value) as very_late_value,
        sum((1 - is_late) * is_unhappy) as punctual_unhappy
    from orders
),

order_sellers as (
    select
        fct_order_items.order_id,
        min(dim_seller.seller_id) as seller_id
    from marts.fct_order_items
    inner join marts.dim_seller on fct_order_items.seller_key = dim_seller.seller_key
    group by fct_order_items.order_id
),

sellers as (
    select
        order_sellers.seller_id,
        sum(orders.is_late) as late_orders,
        sum(1 - orders.is_late) as punctual_orders,
        avg(case when orders.is_late = 0 then orders.review_score end)
        - avg(case when orders.is_late = 1 then orders.review_score end) as difference,
        var_samp(case when orders.is_late = 1 then orders.review_score end) as late_variance,
        var_samp(case when orders.is_late = 0 then orders.review_score end) as punctual_variance
    from orders
    inner join order_sellers on orders.order_id = order_sellers.order_id
    where orders.seller_count = 1
    group by order_sellers.seller_id
    having sum(orders.is_late) >= 10 and sum(1 - orders.is_late) >= 10
),

within_sellers as (
    select
        count(*) as sellers_compared,
        sum(late_orders) as seller_late_orders,
        sum(case when difference > 0 then 1 else 0 end) as sellers_lower,
        sum(late_orders * difference) / nullif(sum(late_orders), 0) as seller_difference,
        sqrt(
            sum(late_orders * late_orders * (late_variance / late_orders + punctual_variance / punctual_orders))
        ) / nullif(sum(late_orders), 0) as seller_difference_error
    from sellers
)

select
    bands.*,
    within_sellers.*
from bands
cross join within_sellers
