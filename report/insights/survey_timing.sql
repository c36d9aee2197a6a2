-- Late orders whose customer was asked for a review before the parcel came, against those asked after it.
--
-- Compared at exactly the same number of days late (2 to 7: the days that have both kinds), since a parcel that is
-- later is more often asked about too early. The difference of each day is weighted with its customers asked before.
-- Dates only, no hours: asked on the day of delivery counts as asked after.
-- mean_if_asked_after: the mean score of all reviews if those 2 to 7 days late and asked before had answered as
-- those asked after did: an upper bound, since they were not angry about the timing only.
with reviews as (
    select
        fct_orders.delay_days,
        fct_reviews.review_score,
        date_trunc('month', fct_orders.purchased_at) as month_start,
        cast(fct_reviews.created_at as date) - cast(fct_orders.estimated_delivery_at as date) as days_from_promise,
        case when fct_orders.is_late then 1 else 0 end as is_late,
        case when fct_reviews.is_created_before_delivery then 1 else 0 end as is_asked_before
    from marts.fct_orders
    inner join marts.fct_reviews on fct_orders.order_id = fct_reviews.order_id
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
        and fct_reviews.is_created_before_delivery is not null
        and fct_reviews.review_score is not null
),

days as (
    select
        delay_days,
        sum(is_asked_before) as before_reviews,
        sum(1 - is_asked_before) as after_reviews,
        avg(case when is_asked_before = 1 then review_score end) as before_score,
        avg(case when is_asked_before = 0 then review_score end) as after_score,
        var_samp(case when is_asked_before = 1 then review_score end) as before_variance,
        var_samp(case when is_asked_before = 0 then review_score end) as after_variance
    from reviews
    where is_late = 1 and delay_days between 2 and 7
    group by delay_days
    having sum(is_asked_before) > 1 and sum(1 - is_asked_before) > 1
),

compared as (
    select
        sum(before_reviews) as compared_before,
        sum(after_reviews) as compared_after,
        sum(before_reviews * before_score) / sum(before_reviews) as before_score,
        sum(before_reviews * after_score) / sum(before_reviews) as after_score,
        sum(before_reviews * (after_score - before_score)) / sum(before_reviews) as difference,
        sqrt(
            sum(
                before_reviews * before_reviews
                * (before_variance / before_reviews + after_variance / after_reviews)
            )
        ) / sum(before_reviews) as difference_error,
        sum(case when after_score > before_score then 1 else 0 end) as days_with_higher_score,
        count(*) as days_compared
    from days
),

months as (
    select
        avg(case when is_asked_before = 1 then review_score end) as before_score,
        avg(case when is_asked_before = 0 then review_score end) as after_score
    from reviews
    where is_late = 1 and delay_days between 2 and 7
    group by month_start
),

same_direction as (
    select
        count(*) as months_compared,
        sum(case when after_score > before_score then 1 else 0 end) as months_with_higher_score
    from months
    where after_score is not null and before_score is not null
),

totals as (
    select
        count(*) as reviews,
        avg(review_score) as score,
        sum(is_late) as late_reviews,
        sum(is_late * is_asked_before) as late_asked_before,
        sum(case when is_late = 1 and is_asked_before = 1 and days_from_promise between 1 and 3 then 1 else 0 end)
            as late_asked_by_the_calendar
    from reviews
)

select
    totals.reviews,
    totals.score,
    totals.late_reviews,
    totals.late_asked_before,
    1.0 * totals.late_asked_by_the_calendar / nullif(totals.late_asked_before, 0) as asked_by_the_calendar_share,
    compared.compared_before,
    compared.compared_after,
    compared.before_score,
    compared.after_score,
    compared.difference,
    compared.difference_error,
    compared.days_with_higher_score,
    compared.days_compared,
    same_direction.months_with_higher_score,
    same_direction.months_compared,
    totals.score + compared.difference * compared.compared_before / nullif(totals.reviews, 0) as mean_if_asked_after
from totals
cross join compared
cross join same_direction
