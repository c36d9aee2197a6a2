select
    order_id,
    payment_sequential,
    payment_type,
    payment_installments,
    payment_value,
    _batch_date
from {{ source('olist', 'order_payments') }}
