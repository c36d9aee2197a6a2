-- "Deliveries to Rio de Janeiro are slow": of when are its late orders, and is it still so?
--
-- Recent: bought in the last five months of the period.
with orders as (
    select
        case when dim_customer.state = 'RJ' then 1 else 0 end as is_rio,
        case when fct_orders.is_late then 1 else 0 end as is_late,
        case when fct_orders.purchased_at >= cast(%(day_after)s as date) - interval '5 months' then 1 else 0 end
            as is_recent
    from marts.fct_orders
    inner join marts.dim_customer on fct_orders.customer_key = dim_customer.customer_key
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delivered_at is not null
)

select
    sum(is_rio) as rio_orders,
    sum(is_rio * is_late) as rio_late,
    sum(1 - is_rio) as other_orders,
    sum((1 - is_rio) * is_late) as other_late,
    sum(is_rio * is_recent) as recent_rio_orders,
    sum(is_rio * is_recent * is_late) as recent_rio_late,
    sum((1 - is_rio) * is_recent) as recent_other_orders,
    sum((1 - is_rio) * is_recent * is_late) as recent_other_late
from orders
