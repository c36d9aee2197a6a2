-- Deliveries
select
    count(*) as delivered_orders,
    sum(case when is_late then 1 else 0 end) as late,
    round(100.0 * sum(case when is_late then 1 else 0 end) / nullif(count(*), 0), 1) as late_percent,
    round(avg(delivery_days), 1) as average_days,
    round(avg(case when is_late then delay_days end), 1) as average_delay_of_late_ones
from marts.fct_orders
where delivered_at is not null
