{{ config(severity='warn') }}

-- A review is created on the day of the purchase or later. In the Olist archive 64 reviews were created before it.
with reviews as (
    select * from {{ tested_rows_of(ref('fct_reviews')) }}
),

orders as (
    select * from {{ tested_rows_of(ref('fct_orders')) }}
)

select
    reviews.review_id,
    reviews.order_id,
    reviews.created_at,
    orders.purchased_at
from reviews
inner join orders on reviews.order_id = orders.order_id
where cast(reviews.created_at as date) < cast(orders.purchased_at as date)
