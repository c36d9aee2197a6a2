-- Orders of Friday and Saturday reach the customer later. Are they also late more often?
with orders as (
    select
        delivery_days,
        case when is_late then 1 else 0 end as is_late,
        case when extract(isodow from purchased_at) in (5, 6) then 1 else 0 end as is_weekend
    from marts.fct_orders
    where
        purchased_at >= %(first_day)s
        and purchased_at < %(day_after)s
        and delivered_at is not null
)

select
    sum(is_weekend) as weekend_orders,
    sum(is_weekend * is_late) as weekend_late,
    count(case when is_weekend = 1 then delivery_days end) as weekend_deliveries,
    avg(case when is_weekend = 1 then delivery_days end) as weekend_days,
    stddev_samp(case when is_weekend = 1 then delivery_days end) as weekend_spread,
    sum(1 - is_weekend) as other_orders,
    sum((1 - is_weekend) * is_late) as other_late,
    count(case when is_weekend = 0 then delivery_days end) as other_deliveries,
    avg(case when is_weekend = 0 then delivery_days end) as other_days,
    stddev_samp(case when is_weekend = 0 then delivery_days end) as other_spread
from orders
