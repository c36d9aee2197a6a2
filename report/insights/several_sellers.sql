-- Orders that several sellers ship, against orders of one seller: value, reviews, and what customers write.
--
-- The fair comparison (pair_*): delivered on time, two pieces, two different products. What differs is whether one
-- seller shipped both. The same for three pieces and more (large_*: at least two products) as a second look.
-- A comment speaks of a missing part if it has one of a few Portuguese phrases (only one came, a part is missing,
-- incomplete, not received): a rough count, the same for both groups.
-- A customer's review of an order is the one answered last.
with last_reviews as (
    select
        order_id,
        review_score,
        review_comment_message,
        row_number() over (partition by order_id order by answered_at desc nulls last, review_id) as place
    from marts.fct_reviews
),

orders as (
    select
        fct_orders.order_value,
        fct_orders.item_count,
        fct_orders.product_count,
        last_reviews.review_score,
        case when fct_orders.seller_count > 1 then 1 else 0 end as is_several,
        case when fct_orders.is_late then 1 else 0 end as is_late,
        case when last_reviews.review_score <= 2 then 1 when last_reviews.review_score > 2 then 0 end as is_unhappy,
        case when last_reviews.review_comment_message is not null then 1 else 0 end as is_comment,
        case
            when
                last_reviews.review_comment_message
                ~* '(apenas um|apenas 1|s[oó] um|s[oó] 1|s[oó] recebi|s[oó] veio|falt(ou|a|ando)|incomplet|metade|n[aã]o recebi|o outro|a outra)'
                then 1
            else 0
        end as is_missing
    from marts.fct_orders
    left join last_reviews on fct_orders.order_id = last_reviews.order_id and last_reviews.place = 1
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_orders.delivered_at is not null
        and fct_orders.item_count > 0
),

totals as (
    select
        count(*) as orders,
        sum(is_several) as several_orders,
        sum(is_several * order_value) as several_value,
        sum(is_several * is_late) as several_late,
        sum((1 - is_several) * is_late) as single_late,
        sum(1 - is_several) as single_orders,
        sum(case when is_several = 1 then is_unhappy end) as several_unhappy,
        count(case when is_several = 1 then is_unhappy end) as several_reviews,
        sum(case when is_several = 0 then is_unhappy end) as single_unhappy,
        count(case when is_several = 0 then is_unhappy end) as single_reviews
    from orders
),

pairs as (
    select
        count(case when is_several = 1 then review_score end) as pair_several_reviews,
        avg(case when is_several = 1 then review_score end) as pair_several_score,
        stddev_samp(case when is_several = 1 then review_score end) as pair_several_spread,
        count(case when is_several = 0 then review_score end) as pair_single_reviews,
        avg(case when is_several = 0 then review_score end) as pair_single_score,
        stddev_samp(case when is_several = 0 then review_score end) as pair_single_spread,
        sum(case when is_several = 1 then is_unhappy end) as pair_several_unhappy,
        sum(case when is_several = 0 then is_unhappy end) as pair_single_unhappy,
        sum(is_several * is_comment) as pair_several_comments,
        sum(is_several * is_missing) as pair_several_missing,
        sum((1 - is_several) * is_comment) as pair_single_comments,
        sum((1 - is_several) * is_missing) as pair_single_missing
    from orders
    where item_count = 2 and product_count = 2 and is_late = 0
),

large as (
    select
        count(case when is_several = 1 then review_score end) as large_several_reviews,
        avg(case when is_several = 1 then review_score end) as large_several_score,
        count(case when is_several = 0 then review_score end) as large_single_reviews,
        avg(case when is_several = 0 then review_score end) as large_single_score
    from orders
    where item_count > 2 and product_count > 1 and is_late = 0
)

select
    totals.*,
    pairs.*,
    large.*,
    -- Unhappy customers beyond what orders of one seller with two products would have.
    totals.several_unhappy
    - 1.0 * totals.several_reviews * pairs.pair_single_unhappy / nullif(pairs.pair_single_reviews, 0) as extra_unhappy
from totals
cross join pairs
cross join large
