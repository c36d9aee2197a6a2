{{ config(
    meta={'replaces': {'column': 'order_id', 'entity': 'order'}},
    indexes=[{'columns': ['order_id', 'review_id'], 'unique': true}],
) }}

with order_reviews as (
    select * from {{ ref('stg_order_reviews') }}
    {{ keep_changed('order_id', 'order') }}
),

versions as (
    select
        order_reviews.*,
        row_number() over (partition by review_id, order_id order by _batch_date desc) as recency
    from order_reviews
),

final as (
    select
        review_id,
        order_id,
        review_score,
        review_comment_title,
        review_comment_message,
        created_at,
        answered_at
    from versions
    where recency = 1
)

select * from final
