-- How much of all lateness falls in the worst five months in a row, and which alarm would have said so in time?
--
-- Two alarms, each judged on Mondays with what is known on that Monday; a week counts with 100 parcels or more:
--   parcels: of the parcels handed to the carrier in the week that ended a week ago, more than 40 of 100 are still on
--            their way;
--   promises: of the delivered orders promised for last week, more than 10 of 100 came late.
-- What an alarm is worth: the late share of the orders bought in the week that begins on a Monday on which it rings
-- (their promise could still be longer), against those bought in all other weeks.
-- The standard error of the difference takes a week of purchases as one draw: its orders share their fate.
-- Both limits were chosen after looking at these data: a first proposal, not a forecast.
with orders as (
    select
        fct_orders.purchased_at,
        fct_orders.delivered_at,
        fct_orders.order_value,
        fct_orders.delivery_days,
        cast(fct_orders.estimated_delivery_at as date) - cast(fct_orders.purchased_at as date) as promised_days,
        date_trunc('month', fct_orders.purchased_at) as month_start,
        date_trunc('week', fct_orders.purchased_at) as purchase_week,
        date_trunc('week', fct_orders.handed_to_carrier_at) as carrier_week,
        date_trunc('week', fct_orders.estimated_delivery_at) as promised_week,
        case when fct_orders.is_late then 1 when not fct_orders.is_late then 0 end as is_late
    from marts.fct_orders
    where
        fct_orders.purchased_at >= %(first_day)s
        and fct_orders.purchased_at < %(day_after)s
),

delivered as (
    select * from orders
    where delivered_at is not null
),

months as (
    select
        month_start,
        count(*) as orders,
        sum(is_late) as late_orders
    from delivered
    group by month_start
),

windows as (
    select
        month_start as last_month,
        lag(month_start, 4) over (order by month_start) as first_month,
        sum(orders) over (order by month_start rows between 4 preceding and current row) as orders,
        sum(late_orders) over (order by month_start rows between 4 preceding and current row) as late_orders
    from months
),

ranked as (
    select
        first_month,
        last_month,
        row_number() over (order by 1.0 * late_orders / orders desc, first_month) as place
    from windows
    where first_month is not null
),

marked as (
    select
        delivered.*,
        case when delivered.month_start between ranked.first_month and ranked.last_month then 1 else 0 end as is_bad
    from delivered
    cross join ranked
    where ranked.place = 1
),

totals as (
    select
        count(*) as orders,
        sum(is_late) as late_orders,
        sum(is_bad) as bad_orders,
        sum(1 - is_bad) as other_orders,
        sum(is_bad * is_late) as bad_late,
        sum((1 - is_bad) * is_late) as other_late,
        sum(is_bad * is_late * order_value) as bad_late_value,
        avg(case when is_bad = 1 then delivery_days end) as bad_days,
        avg(case when is_bad = 0 then delivery_days end) as other_days,
        avg(case when is_bad = 1 then promised_days end) as bad_promise,
        avg(case when is_bad = 0 then promised_days end) as other_promise
    from marked
),

parcel_weeks as (
    select
        carrier_week + interval '14 days' as monday,
        1.0 * sum(case when delivered_at is null or delivered_at >= carrier_week + interval '14 days' then 1 else 0 end)
        / count(*) as on_the_way_share
    from orders
    where carrier_week is not null
    group by carrier_week
    having count(*) >= 100
),

promise_weeks as (
    select
        promised_week + interval '7 days' as monday,
        1.0 * sum(is_late) / count(*) as late_share
    from delivered
    where promised_week is not null
    group by promised_week
    having count(*) >= 100
),

alarmed as (
    select
        marked.is_bad,
        marked.is_late,
        marked.purchase_week,
        case when parcel_weeks.on_the_way_share > 0.4 then 1 else 0 end as parcel_alarm,
        case when promise_weeks.late_share > 0.1 then 1 else 0 end as promise_alarm
    from marked
    left join parcel_weeks on marked.purchase_week = parcel_weeks.monday
    left join promise_weeks on marked.purchase_week = promise_weeks.monday
),

alarms as (
    select
        count(distinct purchase_week) as weeks,
        count(distinct case when parcel_alarm = 1 then purchase_week end) as parcel_weeks,
        sum(parcel_alarm) as parcel_orders,
        sum(parcel_alarm * is_late) as parcel_late,
        sum(1 - parcel_alarm) as quiet_orders,
        sum((1 - parcel_alarm) * is_late) as quiet_late,
        count(distinct case when promise_alarm = 1 then purchase_week end) as promise_weeks,
        sum(promise_alarm) as promise_orders,
        sum(promise_alarm * is_late) as promise_late
    from alarmed
),

alarm_shares as (
    select
        1.0 * parcel_late / nullif(parcel_orders, 0) as parcel_late_share,
        1.0 * quiet_late / nullif(quiet_orders, 0) as quiet_late_share,
        1.0 * promise_late / nullif(promise_orders, 0) as promise_late_share
    from alarms
),

alarm_influence as (
    select
        sum(alarmed.parcel_alarm * (alarmed.is_late - alarm_shares.parcel_late_share))
        / nullif(max(alarms.parcel_orders), 0)
        - sum((1 - alarmed.parcel_alarm) * (alarmed.is_late - alarm_shares.quiet_late_share))
        / nullif(max(alarms.quiet_orders), 0) as influence
    from alarmed
    cross join alarms
    cross join alarm_shares
    group by alarmed.purchase_week
),

-- The worst week of the five months, and the first Monday on which each alarm rang from four weeks before it to eight
-- weeks after it.
worst_week as (
    select
        purchase_week,
        1.0 * sum(is_late) / count(*) as late_share
    from alarmed
    where is_bad = 1
    group by purchase_week
    having count(*) >= 100
    order by late_share desc, purchase_week asc
    limit 1
),

first_rings as (
    select
        worst_week.purchase_week,
        worst_week.late_share,
        (
            select min(parcel_weeks.monday)
            from parcel_weeks
            where
                parcel_weeks.on_the_way_share > 0.4
                and parcel_weeks.monday between worst_week.purchase_week - interval '28 days'
                and worst_week.purchase_week + interval '56 days'
        ) as parcel_monday,
        (
            select min(promise_weeks.monday)
            from promise_weeks
            where
                promise_weeks.late_share > 0.1
                and promise_weeks.monday between worst_week.purchase_week - interval '28 days'
                and worst_week.purchase_week + interval '56 days'
        ) as promise_monday
    from worst_week
)

select
    totals.*,
    cast(ranked.first_month as date) as first_month,
    cast(ranked.last_month as date) as last_month,
    1.0 * totals.bad_orders / nullif(totals.orders, 0) as bad_share_of_orders,
    1.0 * totals.bad_late / nullif(totals.late_orders, 0) as bad_share_of_late,
    alarms.*,
    alarm_shares.*,
    alarm_shares.parcel_late_share - alarm_shares.quiet_late_share as alarm_difference,
    (select sqrt(sum(influence * influence)) from alarm_influence) as alarm_difference_error,
    alarm_shares.promise_late_share - alarm_shares.quiet_late_share as promise_difference,
    cast(first_rings.purchase_week as date) as worst_week,
    first_rings.late_share as worst_week_late_share,
    (cast(first_rings.purchase_week as date) - cast(first_rings.parcel_monday as date)) / 7 as parcel_weeks_before,
    (cast(first_rings.promise_monday as date) - cast(first_rings.purchase_week as date)) / 7 as promise_weeks_after,
    cast(first_rings.parcel_monday as date) as parcel_monday,
    cast(first_rings.promise_monday as date) as promise_monday
from totals
cross join ranked
cross join alarms
cross join alarm_shares
cross join first_rings
where ranked.place = 1
