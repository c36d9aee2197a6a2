{{ config(severity='warn') }}

-- A batch holds what is known at the end of its day, so no purchase is later. The Olist archive has no such order.
-- Reads the raw table, since daily builds leave out tests of staging.
with orders as (
    select * from {{ tested_rows_of(ref('fct_orders')) }}
)

select
    sent.order_id,
    sent.order_purchase_timestamp,
    sent._batch_date
from orders
inner join {{ source('olist', 'orders') }} as sent on orders.order_id = sent.order_id
where cast(sent.order_purchase_timestamp as date) > sent._batch_date
