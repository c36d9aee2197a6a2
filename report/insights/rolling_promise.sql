-- A promise that follows the last weeks: would it be shorter, or more often kept, than the promises that were made?
--
-- The rule: an order's promise is as long as 93 of 100 deliveries took that arrived in the 90 days before its month,
-- for the same state of the customer and the same kind of way (all sellers in that state, or not). States with
-- fewer than 50 such deliveries are left out, in both columns. 93 was chosen: it gives promises of the same length.
with orders as (
    select
        fct_orders.order_id,
        dim_customer.state,
        cast(date_trunc('month', fct_orders.purchased_at) as date) as month_start,
        cast(fct_orders.delivered_at as date) as delivery_date,
        fct_orders.delivery_days,
        cast(fct_orders.estimated_delivery_at as date) - cast(fct_orders.purchased_at as date) as promised_days,
        case when fct_orders.is_late then 1 else 0 end as is_late,
        min(case when dim_seller.state = dim_customer.state then 1 else 0 end) as is_same_state
    from marts.fct_orders
    inner join marts.dim_customer on fct_orders.customer_key = dim_customer.customer_key
    inner join marts.fct_order_items on fct_orders.order_id = fct_order_items.order_id
    inner join marts.dim_seller on fct_order_items.seller_key = dim_seller.seller_key
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delivered_at is not null
    group by
        fct_orders.order_id,
        dim_customer.state,
        fct_orders.purchased_at,
        fct_orders.delivered_at,
        fct_orders.delivery_days,
        fct_orders.estimated_delivery_at,
        fct_orders.is_late
),

-- Half a year of deliveries comes before the first promise of the rule.
months as (
    select distinct month_start
    from orders
    where month_start >= cast(%(first_day)s as date) + 180
),

rules as (
    select
        months.month_start,
        orders.state,
        orders.is_same_state,
        percentile_disc(0.93) within group (order by orders.delivery_days) as rule_days
    from months
    inner join orders
        on months.month_start - 90 <= orders.delivery_date and months.month_start > orders.delivery_date
    group by months.month_start, orders.state, orders.is_same_state
    having count(*) >= 50
),

compared as (
    select
        orders.promised_days,
        orders.is_late,
        orders.month_start,
        rules.rule_days,
        case when orders.delivery_days > rules.rule_days then 1 else 0 end as is_late_by_rule
    from orders
    inner join rules
        on
            orders.month_start = rules.month_start
            and orders.state = rules.state
            and orders.is_same_state = rules.is_same_state
)

select
    count(*) as orders,
    avg(promised_days) as promised_days,
    sum(is_late) as late_orders,
    avg(rule_days) as rule_days,
    sum(is_late_by_rule) as late_by_rule
from compared
