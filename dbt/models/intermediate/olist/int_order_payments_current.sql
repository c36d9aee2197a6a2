{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order'}},
    indexes=[{'columns': ['order_id', 'payment_sequential'], 'unique': true}],
) }}

with order_payments as (
    select * from {{ ref('stg_order_payments') }}
    {{ keep_changed('order_id', 'order') }}
),

versions as (
    select
        order_payments.*,
        row_number() over (partition by order_id, payment_sequential order by _batch_date desc) as recency
    from order_payments
),

final as (
    select
        order_id,
        payment_sequential,
        payment_type,
        payment_installments,
        payment_value
    from versions
    where recency = 1
)

select * from final
