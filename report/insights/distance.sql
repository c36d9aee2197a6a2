-- Is a parcel late because it goes far? The farthest item of the order counts; orders whose places are not known are
-- left out. Near: below 200 km; far: 1,000 km and more. Slow: handed to the carrier after the limit.
with items as (
    select
        order_id,
        max(distance_km) as distance_km,
        max(case when is_handed_over_late then 1 else 0 end) as is_slow
    from marts.fct_order_items
    group by order_id
    having count(distance_km) > 0
),

orders as (
    select
        items.is_slow,
        fct_orders.delivery_days,
        case when items.distance_km < 200 then 1 else 0 end as is_near,
        case when items.distance_km >= 1000 then 1 else 0 end as is_far,
        case when fct_orders.is_late then 1 else 0 end as is_late,
        cast(fct_orders.estimated_delivery_at as date) - cast(fct_orders.purchased_at as date) as promised_days
    from marts.fct_orders
    inner join items on fct_orders.order_id = items.order_id
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delivered_at is not null
)

select
    sum(is_near) as near_orders,
    sum(is_near * is_late) as near_late,
    sum(is_far) as far_orders,
    sum(is_far * is_late) as far_late,
    avg(case when is_near = 1 then delivery_days end) as near_days,
    avg(case when is_far = 1 then delivery_days end) as far_days,
    avg(case when is_near = 1 then promised_days end) as near_promise,
    avg(case when is_far = 1 then promised_days end) as far_promise,
    sum(is_near * is_slow) as near_slow_orders,
    sum(is_near * is_slow * is_late) as near_slow_late,
    sum(is_far * (1 - is_slow)) as far_prompt_orders,
    sum(is_far * (1 - is_slow) * is_late) as far_prompt_late
from orders
