-- Promises are long: how long, and do customers thank a parcel that comes very early?
with orders as (
    select
        count(*) as orders,
        avg(cast(estimated_delivery_at as date) - cast(purchased_at as date)) as promised_days,
        avg(delivery_days) as delivery_days,
        sum(case when delay_days <= -14 then 1 else 0 end) as two_weeks_early
    from marts.fct_orders
    where
        purchased_at >= %(first_day)s
        and purchased_at < %(day_after)s
        and delivered_at is not null
),

reviews as (
    select
        count(case when fct_orders.delay_days <= -15 then fct_reviews.review_score end) as very_early_reviews,
        avg(case when fct_orders.delay_days <= -15 then fct_reviews.review_score end) as very_early_score,
        stddev_samp(case when fct_orders.delay_days <= -15 then fct_reviews.review_score end) as very_early_spread,
        count(case when fct_orders.delay_days > -15 then fct_reviews.review_score end) as early_reviews,
        avg(case when fct_orders.delay_days > -15 then fct_reviews.review_score end) as early_score,
        stddev_samp(case when fct_orders.delay_days > -15 then fct_reviews.review_score end) as early_spread
    from marts.fct_orders
    inner join marts.fct_reviews on fct_orders.order_id = fct_reviews.order_id
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delay_days <= -8
)

select
    orders.*,
    reviews.*
from orders
cross join reviews
