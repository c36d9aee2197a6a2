-- Orders on their way whose promised day has passed by up to two weeks on the period's last day, the latest ones first.
select
    fct_orders.order_id,
    dim_customer.state,
    cast(fct_orders.estimated_delivery_at as date) as promised_day,
    cast(%(day_after)s as date) - 1 - cast(fct_orders.estimated_delivery_at as date) as days_late,
    fct_orders.order_value
from marts.fct_orders
inner join marts.dim_customer on fct_orders.customer_key = dim_customer.customer_key
where
    fct_orders.purchased_at < %(day_after)s
    and fct_orders.handed_to_carrier_at < %(day_after)s
    and (fct_orders.delivered_at is null or fct_orders.delivered_at >= %(day_after)s)
    and fct_orders.order_status not in ('canceled', 'unavailable')
    and cast(fct_orders.estimated_delivery_at as date) between cast(%(day_after)s as date) - 15
    and cast(%(day_after)s as date) - 2
order by days_late desc, fct_orders.order_value desc, fct_orders.order_id asc
limit 100
