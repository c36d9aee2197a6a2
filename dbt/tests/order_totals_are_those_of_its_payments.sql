-- Accounting identity: an order's order_payment_value and payment_count are the sums over fct_payments.
with orders as (
    select * from {{ tested_rows_of(ref('fct_orders')) }}
),

payments_per_order as (
    select
        order_id,
        count(*) as payment_count,
        sum(payment_value) as payment_value
    from {{ tested_rows_of(ref('fct_payments')) }}
    group by order_id
)

select
    orders.order_id,
    orders.payment_count,
    orders.order_payment_value,
    payments_per_order.payment_count as counted_payments,
    payments_per_order.payment_value as summed_payments
from orders
left join payments_per_order on orders.order_id = payments_per_order.order_id
where
    orders.payment_count <> coalesce(payments_per_order.payment_count, 0)
    or orders.order_payment_value <> coalesce(payments_per_order.payment_value, 0)
