-- Orders that several sellers ship, against orders of one seller: value, reviews, and what customers write.
--
-- The fair comparison (pair_*): delivered on time, two pieces, two different products. What differs is whether one
-- seller shipped both. The same for three pieces and more (large_*: at least two products) as a second look.
-- A comment speaks of a missing part if it has one of a few Portuguese phrases (only one came, a part is missing,
-- incomplete, not received): a rough count, the same for both groups.
-- A customer's review of an order is the one answered last.
-- The size of a test: orders per group that show, in four of five tests, a fall of the unhappy share by ten points, or a
-- rise of the score by half a point: (1.96 + 0.84)^2 = 7.85, times the two variances, divided by the square of the effect
-- (J. L. Fleiss: Statistical Methods for Rates and Proportions, 1981, chapter 3).
with last_reviews as (
    select distinct on (order_id)
        order_id,
        review_score,
        review_comment_message
    from marts.fct_reviews
    order by order_id, answered_at desc nulls last, review_id
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
    left join last_reviews on fct_orders.order_id = last_reviews.order_id
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
),

shares as (
    select
        1.0 * several_unhappy / nullif(several_reviews, 0) as unhappy_share,
        several_orders / nullif(
            12 * extract(year from age(%(day_after)s, %(first_day)s))
            + extract(month from age(%(day_after)s, %(first_day)s)),
            0
        ) as orders_a_month
    from totals
),

tests as (
    select
        ceil(
            7.85 * (
                shares.unhappy_share * (1 - shares.unhappy_share)
                + (shares.unhappy_share - 0.1) * (1 - (shares.unhappy_share - 0.1))
            ) / (0.1 * 0.1)
        ) as orders_by_share,
        ceil(7.85 * 2 * pairs.pair_several_spread * pairs.pair_several_spread / (0.5 * 0.5)) as orders_by_score,
        shares.orders_a_month
    from shares
    cross join pairs
)

select
    totals.*,
    pairs.*,
    large.*,
    tests.orders_by_share as test_orders_by_share,
    2 * tests.orders_by_share / nullif(tests.orders_a_month, 0) as test_months_by_share,
    tests.orders_by_score as test_orders_by_score,
    2 * tests.orders_by_score / nullif(tests.orders_a_month, 0) as test_months_by_score,
    -- Unhappy customers beyond what orders of one seller with two products would have.
    totals.several_unhappy
    - 1.0 * totals.several_reviews * pairs.pair_single_unhappy / nullif(pairs.pair_single_reviews, 0) as extra_unhappy
from totals
cross join pairs
cross join large
cross join tests
