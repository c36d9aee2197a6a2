-- Do customers stay away after a late first order, or after a bad review?
--
-- Persons whose first order was delivered and bought a year or more before the end of the period. Again: another order
-- 1 to 365 days after the first, so that every person had the same time for it. Of several reviews the lowest counts.
with orders as (
    select
        dim_customer.customer_unique_id,
        fct_orders.order_id,
        fct_orders.purchased_at,
        fct_orders.delivered_at,
        fct_orders.is_late,
        fct_orders.person_order_number
    from marts.fct_orders
    inner join marts.dim_customer on fct_orders.customer_key = dim_customer.customer_key
    where fct_orders.person_order_number is not null
),

scores as (
    select
        order_id,
        min(review_score) as review_score
    from marts.fct_reviews
    group by order_id
),

first_orders as (
    select
        orders.customer_unique_id,
        orders.purchased_at,
        scores.review_score,
        case when orders.is_late then 1 else 0 end as is_late
    from orders
    left join scores on orders.order_id = scores.order_id
    where
        orders.person_order_number = 1
        and orders.purchased_at >= %(first_day)s
        and orders.purchased_at < cast(%(day_after)s as date) - 365
        and orders.delivered_at is not null
),

persons as (
    select
        first_orders.customer_unique_id,
        first_orders.review_score,
        first_orders.is_late,
        max(case when orders.order_id is not null then 1 else 0 end) as is_again
    from first_orders
    left join orders
        on
            first_orders.customer_unique_id = orders.customer_unique_id
            and orders.person_order_number > 1
            and orders.purchased_at > first_orders.purchased_at + interval '1 day'
            and orders.purchased_at <= first_orders.purchased_at + interval '365 days'
    group by first_orders.customer_unique_id, first_orders.review_score, first_orders.is_late
)

select
    count(*) as persons,
    sum(is_again) as again,
    sum(is_late) as late_persons,
    sum(is_late * is_again) as late_again,
    sum(1 - is_late) as punctual_persons,
    sum((1 - is_late) * is_again) as punctual_again,
    sum(case when review_score = 1 then 1 else 0 end) as one_star_persons,
    sum(case when review_score = 1 then is_again else 0 end) as one_star_again,
    sum(case when review_score = 5 then 1 else 0 end) as five_star_persons,
    sum(case when review_score = 5 then is_again else 0 end) as five_star_again
from persons
