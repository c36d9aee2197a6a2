-- Promises are long: how long, and do customers thank a parcel that comes very early?
with last_reviews as (
    select distinct on (order_id)
        order_id,
        review_score
    from marts.fct_reviews
    order by order_id, answered_at desc nulls last, review_id
),

orders as (
    select
        fct_orders.delivery_days,
        fct_orders.delay_days,
        last_reviews.review_score,
        cast(fct_orders.estimated_delivery_at as date) - cast(fct_orders.purchased_at as date) as promised_days
    from marts.fct_orders
    left join last_reviews on fct_orders.order_id = last_reviews.order_id
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delivered_at is not null
)

select
    count(*) as orders,
    avg(promised_days) as promised_days,
    avg(delivery_days) as delivery_days,
    sum(case when delay_days <= -14 then 1 else 0 end) as two_weeks_early,
    count(case when delay_days <= -15 then review_score end) as very_early_reviews,
    avg(case when delay_days <= -15 then review_score end) as very_early_score,
    stddev_samp(case when delay_days <= -15 then review_score end) as very_early_spread,
    count(case when delay_days between -14 and -8 then review_score end) as early_reviews,
    avg(case when delay_days between -14 and -8 then review_score end) as early_score,
    stddev_samp(case when delay_days between -14 and -8 then review_score end) as early_spread
from orders
