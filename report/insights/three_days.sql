-- How does the review score fall with the days a parcel is late, and how much money do the worst delays touch?
--
-- Reviews of delivered orders. Also within seller (orders of one seller; sellers with ten reviews of late and ten of
-- punctual orders or more), weighted with each seller's late ones: what is left if the seller is the same.
with orders as (
    select
        order_id,
        order_value,
        seller_count,
        case when is_late then 1 else 0 end as is_late,
        case when is_late and delay_days > 3 then 1 else 0 end as is_very_late
    from marts.fct_orders
    where
        purchased_at >= %(first_day)s
        and purchased_at < %(day_after)s
        and delivered_at is not null
),

order_reviews as (
    select
        orders.order_id,
        orders.seller_count,
        orders.is_late,
        orders.is_very_late,
        fct_reviews.review_score,
        case when fct_reviews.review_score <= 2 then 1 else 0 end as is_unhappy
    from orders
    inner join marts.fct_reviews on orders.order_id = fct_reviews.order_id
    where fct_reviews.review_score is not null
),

bands as (
    select
        count(*) as reviews,
        sum(1 - is_late) as punctual_reviews,
        avg(case when is_late = 0 then review_score end) as punctual_score,
        sum(is_late - is_very_late) as little_late_reviews,
        avg(case when is_late = 1 and is_very_late = 0 then review_score end) as little_late_score,
        stddev_samp(case when is_late = 1 and is_very_late = 0 then review_score end) as little_late_spread,
        sum(is_very_late) as very_late_reviews,
        avg(case when is_very_late = 1 then review_score end) as very_late_score,
        stddev_samp(case when is_very_late = 1 then review_score end) as very_late_spread,
        sum(is_very_late * is_unhappy) as very_late_unhappy,
        sum((1 - is_late) * is_unhappy) as punctual_unhappy
    from order_reviews
),

money as (
    select
        sum(is_very_late) as very_late_orders,
        sum(is_very_late * order_value) as very_late_value
    from orders
),

order_sellers as (
    select
        order_id,
        min(seller_key) as seller_key
    from marts.fct_order_items
    group by order_id
),

sellers as (
    select
        dim_seller.seller_id,
        sum(order_reviews.is_late) as late_reviews,
        sum(1 - order_reviews.is_late) as punctual_reviews,
        avg(case when order_reviews.is_late = 0 then order_reviews.review_score end)
        - avg(case when order_reviews.is_late = 1 then order_reviews.review_score end) as difference,
        var_samp(case when order_reviews.is_late = 1 then order_reviews.review_score end) as late_variance,
        var_samp(case when order_reviews.is_late = 0 then order_reviews.review_score end) as punctual_variance
    from order_reviews
    inner join order_sellers on order_reviews.order_id = order_sellers.order_id
    inner join marts.dim_seller on order_sellers.seller_key = dim_seller.seller_key
    where order_reviews.seller_count = 1
    group by dim_seller.seller_id
    having sum(order_reviews.is_late) >= 10 and sum(1 - order_reviews.is_late) >= 10
),

within_sellers as (
    select
        count(*) as sellers_compared,
        sum(case when difference > 0 then 1 else 0 end) as sellers_lower,
        sum(late_reviews * difference) / nullif(sum(late_reviews), 0) as seller_difference,
        sqrt(
            sum(late_reviews * late_reviews * (late_variance / late_reviews + punctual_variance / punctual_reviews))
        ) / nullif(sum(late_reviews), 0) as seller_difference_error
    from sellers
)

select
    bands.*,
    money.*,
    within_sellers.*
from bands
cross join money
cross join within_sellers
