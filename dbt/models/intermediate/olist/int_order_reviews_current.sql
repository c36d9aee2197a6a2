{{ config(
    meta={'replaces': {'column': 'review_id', 'entity': 'review'}},
    indexes=[{'columns': ['review_id', 'order_id'], 'unique': true}, {'columns': ['order_id']}],
) }}

with order_reviews as (
    select * from {{ ref('stg_order_reviews') }}
    {{ keep_changed('review_id', 'review') }}
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
