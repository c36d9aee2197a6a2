-- Orders whose seller gave them to the carrier after the limit: how many more of them are late than otherwise?
--
-- Compared within month of purchase and state of the customer: of the orders of one month and state, those handed over
-- in time say how many of those handed over late would have been late anyway (expected_late).
-- excess_late = late orders among them - expected_late.
-- Its standard error takes the orders of one seller as one draw (they share a warehouse and a carrier): `influence`
-- is by how much an order moves excess_late for this number of slow orders, summed by seller, squared, summed (the
-- linearised variance of a clustered sample; C. J. Skinner, D. Holt, T. M. F. Smith: Analysis of Complex Surveys,
-- 1989).
-- A slow seller: 30 orders or more, and at least a fifth of those handed over were late, whether delivered yet or not.
-- To judge whether slowness lasts, sellers are picked by the first half of the period and looked at in the second.
with items as (
    select
        fct_order_items.order_id,
        dim_seller.seller_id,
        sum(fct_order_items.price) as revenue,
        max(
            case when fct_order_items.is_handed_over_late then 1 when not fct_order_items.is_handed_over_late then 0 end
        ) as is_slow,
        min(fct_orders.order_value) as order_value,
        min(dim_customer.state) as state,
        min(fct_orders.purchased_at) as purchased_at,
        max(case when fct_orders.is_late then 1 when not fct_orders.is_late then 0 end) as is_late,
        max(
            case
                when
                    fct_orders.purchased_at
                    < cast(%(first_day)s as date) + (cast(%(day_after)s as date) - cast(%(first_day)s as date)) / 2
                    then 1
                else 0
            end
        ) as is_first_half
    from marts.fct_order_items
    inner join marts.fct_orders on fct_order_items.order_id = fct_orders.order_id
    inner join marts.dim_seller on fct_order_items.seller_key = dim_seller.seller_key
    inner join marts.dim_customer on fct_order_items.customer_key = dim_customer.customer_key
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
    group by fct_order_items.order_id, dim_seller.seller_id
),

-- Delivered orders; an order of several sellers is slow if one of them was, and counts as the first one's draw.
orders as (
    select
        order_id,
        min(seller_id) as seller_id,
        max(is_slow) as is_slow,
        min(order_value) as order_value,
        min(state) as state,
        date_trunc('month', min(purchased_at)) as month_start,
        max(is_late) as is_late
    from items
    where is_slow is not null and is_late is not null
    group by order_id
),

strata as (
    select
        month_start,
        state,
        sum(is_slow) as slow,
        sum(1 - is_slow) as prompt,
        1.0 * sum(is_slow * is_late) / sum(is_slow) as slow_late_share,
        1.0 * sum((1 - is_slow) * is_late) / sum(1 - is_slow) as prompt_late_share
    from orders
    group by month_start, state
    having sum(is_slow) > 0 and sum(1 - is_slow) > 0
),

excess as (
    select
        sum(slow) as slow_orders_compared,
        sum(slow * slow_late_share) as slow_late,
        sum(slow * prompt_late_share) as expected_late
    from strata
),

influence_of_sellers as (
    select
        orders.seller_id,
        sum(
            case
                when orders.is_slow = 1
                    then
                        orders.is_late - strata.prompt_late_share
                        - (excess.slow_late - excess.expected_late) / excess.slow_orders_compared
                else -1.0 * strata.slow / strata.prompt * (orders.is_late - strata.prompt_late_share)
            end
        ) as influence
    from orders
    inner join strata on orders.month_start = strata.month_start and orders.state = strata.state
    cross join excess
    group by orders.seller_id
),

totals as (
    select
        count(*) as orders,
        sum(is_late) as late_orders,
        sum(is_slow) as slow_orders,
        sum(case when is_late = 1 then order_value else 0 end) as late_order_value,
        avg(case when is_late = 1 and is_slow = 1 then order_value end) as value_of_a_slow_late_order
    from orders
),

reviews as (
    select
        order_id,
        sum(review_score) as scores,
        count(review_score) as reviews
    from marts.fct_reviews
    group by order_id
),

sellers as (
    select
        items.seller_id,
        count(*) as orders,
        count(items.is_slow) as handed_over,
        sum(items.is_slow) as slow_orders,
        sum(items.revenue) as revenue,
        sum(reviews.scores) as scores,
        sum(reviews.reviews) as reviews
    from items
    left join reviews on items.order_id = reviews.order_id
    group by items.seller_id
),

judged as (
    select
        count(*) as sellers_judged,
        sum(case when slow_orders >= 0.2 * handed_over then 1 else 0 end) as slow_sellers,
        sum(case when slow_orders >= 0.2 * handed_over then orders else 0 end) as orders_of_slow_sellers,
        sum(case when slow_orders >= 0.2 * handed_over then revenue else 0 end) as revenue_of_slow_sellers,
        1.0 * sum(case when slow_orders >= 0.2 * handed_over then slow_orders else 0 end) / nullif(sum(slow_orders), 0)
            as share_of_late_handovers,
        1.0 * sum(case when slow_orders >= 0.2 * handed_over then scores end)
        / nullif(sum(case when slow_orders >= 0.2 * handed_over then reviews end), 0) as score_of_slow_sellers,
        1.0 * sum(case when slow_orders < 0.2 * handed_over then scores end)
        / nullif(sum(case when slow_orders < 0.2 * handed_over then reviews end), 0) as score_of_other_sellers
    from sellers
    where orders >= 30
),

halves as (
    select
        seller_id,
        sum(is_first_half) as first_orders,
        sum(is_first_half * is_slow) as first_slow,
        sum(1 - is_first_half) as second_orders,
        sum((1 - is_first_half) * is_slow) as second_slow
    from items
    where is_slow is not null
    group by seller_id
),

persistence as (
    select
        sum(case when first_slow >= 0.2 * first_orders then 1 else 0 end) as slow_before,
        sum(case when first_slow >= 0.2 * first_orders then second_orders else 0 end) as orders_after_slow,
        sum(case when first_slow >= 0.2 * first_orders then second_slow else 0 end) as slow_after_slow,
        sum(case when first_slow < 0.2 * first_orders then second_orders else 0 end) as orders_after_prompt,
        sum(case when first_slow < 0.2 * first_orders then second_slow else 0 end) as slow_after_prompt
    from halves
    where first_orders >= 30 and second_orders >= 1
)

select
    totals.orders,
    totals.late_orders,
    totals.late_order_value,
    totals.slow_orders,
    excess.slow_orders_compared,
    excess.slow_late,
    excess.expected_late,
    excess.slow_late - excess.expected_late as excess_late,
    (select sqrt(sum(influence * influence)) from influence_of_sellers) as excess_late_error,
    (excess.slow_late - excess.expected_late) / nullif(totals.late_orders, 0) as excess_share_of_late,
    (excess.slow_late - excess.expected_late) * totals.value_of_a_slow_late_order as excess_late_value,
    judged.sellers_judged,
    judged.slow_sellers,
    judged.orders_of_slow_sellers,
    judged.revenue_of_slow_sellers,
    judged.share_of_late_handovers,
    judged.score_of_slow_sellers,
    judged.score_of_other_sellers,
    persistence.slow_before,
    persistence.orders_after_slow,
    persistence.slow_after_slow,
    persistence.orders_after_prompt,
    persistence.slow_after_prompt
from totals
cross join excess
cross join judged
cross join persistence
