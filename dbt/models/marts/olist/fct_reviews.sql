{{ config(meta={'replaces': {'column': 'order_id', 'entity': 'order_facts'}}) }}

with reviews as (
    select * from {{ ref('int_order_reviews_current') }}
    {{ keep_changed('order_id', 'order_facts') }}
),

orders as (
    select
        order_id,
        customer_key,
        purchase_date_key,
        delivered_at
    from {{ ref('fct_orders') }}
),

final as (
    select
        reviews.order_id,
        reviews.review_id,
        coalesce(orders.customer_key, {{ unknown_key() }}) as customer_key,
        coalesce(orders.purchase_date_key, 0) as purchase_date_key,
        {{ date_key('reviews.created_at') }} as creation_date_key,
        {{ date_key('reviews.answered_at') }} as answer_date_key,
        reviews.review_score,
        reviews.review_comment_title,
        reviews.review_comment_message,
        reviews.created_at,
        reviews.answered_at,
        cast(reviews.answered_at as date) - cast(reviews.created_at as date) as answer_days,
        cast(reviews.created_at as date) < cast(orders.delivered_at as date) as is_created_before_delivery
    from reviews
    left join orders on reviews.order_id = orders.order_id
)

select * from final
