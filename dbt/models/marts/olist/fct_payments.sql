{{ config(meta={'replaces': {'column': 'order_id', 'entity': 'order_facts'}}) }}

with payments as (
    select * from {{ ref('int_order_payments_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

orders as (
    select
        order_id,
        customer_key,
        purchase_date_key
    from {{ ref('fct_orders') }}
),

final as (
    select
        payments.order_id,
        payments.payment_sequential,
        coalesce(orders.customer_key, {{ unknown_key() }}) as customer_key,
        coalesce(orders.purchase_date_key, 0) as purchase_date_key,
        coalesce(payments.payment_type, 'unknown') as payment_type,
        payments.payment_installments,
        payments.payment_value
    from payments
    left join orders on payments.order_id = orders.order_id
)

select * from final
