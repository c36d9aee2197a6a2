-- Orders that several sellers ship, against orders of one seller: value, reviews, and what customers write.
--
-- The fair comparison (pair_*): delivered on time, two pieces, two different products. What differs is whether one
-- seller shipped both. The same for three pieces and more (large_*: at least two products) as a second look.
-- A comment speaks of a missing part if it has one of a few Portuguese phrases (only one came, a part is missing,
-- incomplete, not received): a rough count, the same for both groups.
-- The size of a test: orders per group that show, in four of five tests, a fall of the unhappy share by ten points, or
-- a rise of the score by half a point: (1.96 + 0.84)^2 = 7.85, times the two variances, divided by the square of the
-- effect (J. L. Fleiss: Statistical Methods for Rates and Proportions, 1981, chapter 3).
with orders as (
    select
        order_id,
        item_count,
        product_count,
        order_value,
        case when seller_count > 1 then 1 else 0 end as is_several,
        case when is_late then 1 else 0 end as is_late
    from marts.fct_orders
    where
        purchased_at >= %(first_day)s
        and purchased_at < %(day_after)s
        and delivered_at is not null
        and item_count > 0
),

reviews as (
    select
        orders.item_count,
        orders.product_count,
        orders.is_several,
        orders.is_late,
        fct_reviews.review_score,
        case when fct_reviews.review_score <= 2 then 1 else 0 end as is_unhappy,
        case when fct_reviews.review_comment_message is not null then 1 else 0 end as is_comment,
        case
            when
                orders.item_count = 2
                and fct_reviews.review_comment_message
                ~* '(apenas (um|1)|s[oó] (um|1|recebi|veio)|falt(ou|a)|incomplet|metade|n[aã]o recebi|o outro|a outra)'
                then 1
            else 0
        end as is_missing
    from orders
    inner join marts.fct_reviews on orders.order_id = fct_reviews.order_id
    where fct_reviews.review_score is not null
),

totals as (
    select
        count(*) as orders,
        sum(is_several) as several_orders,
        sum(is_several * order_value) as several_value,
        sum(is_several * is_late) as several_late
    from orders
),

all_reviews as (
    select
        sum(is_several) as several_reviews,
        sum(is_several * is_unhappy) as several_unhappy,
        sum(1 - is_several) as single_reviews,
        sum((1 - is_several) * is_unhappy) as single_unhappy
    from reviews
),

pairs as (
    select
        sum(is_several) as pair_several_reviews,
        avg(case when is_several = 1 then review_score end) as pair_several_score,
        stddev_samp(case when is_several = 1 then review_score end) as pair_several_spread,
        sum(1 - is_several) as pair_single_reviews,
        avg(case when is_several = 0 then review_score end) as pair_single_score,
        stddev_samp(case when is_several = 0 then review_score end) as pair_single_spread,
        sum((1 - is_several) * is_unhappy) as pair_single_unhappy,
        sum(is_several * is_comment) as pair_several_comments,
        sum(is_several * is_missing) as pair_several_missing,
        sum((1 - is_several) * is_comment) as pair_single_comments,
        sum((1 - is_several) * is_missing) as pair_single_missing
    from reviews
    where item_count = 2 and product_count = 2 and is_late = 0
),

large as (
    select
        sum(is_several) as large_several_reviews,
        avg(case when is_several = 1 then review_score end) as large_several_score,
        sum(1 - is_several) as large_single_reviews,
        avg(case when is_several = 0 then review_score end) as large_single_score
    from reviews
    where item_count > 2 and product_count > 1 and is_late = 0
),

shares as (
    select
        1.0 * all_reviews.several_unhappy / nullif(all_reviews.several_reviews, 0) as unhappy_share,
        totals.several_orders / nullif(
            12 * extract(year from age(%(day_after)s, %(first_day)s))
            + extract(month from age(%(day_after)s, %(first_day)s)),
            0
        ) as orders_a_month
    from totals
    cross join all_reviews
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
    all_reviews.*,
    pairs.*,
    large.*,
    tests.orders_by_share as test_orders_by_share,
    2 * tests.orders_by_share / nullif(tests.orders_a_month, 0) as test_months_by_share,
    tests.orders_by_score as test_orders_by_score,
    2 * tests.orders_by_score / nullif(tests.orders_a_month, 0) as test_months_by_score,
    -- Unhappy customers beyond what orders of one seller with two products would have.
    all_reviews.several_unhappy
    - 1.0 * all_reviews.several_reviews * pairs.pair_single_unhappy / nullif(pairs.pair_single_reviews, 0)
        as extra_unhappy
from totals
cross join all_reviews
cross join pairs
cross join large
cross join tests
