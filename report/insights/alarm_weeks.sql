-- The last twelve Mondays: parcels of the week that ended a week ago, and how many of them are still on their way.
with parcels as (
    select
        date_trunc('week', handed_to_carrier_at) as carrier_week,
        case
            when
                delivered_at is null
                or delivered_at >= date_trunc('week', handed_to_carrier_at) + interval '14 days'
                then 1
            else 0
        end as is_on_the_way
    from marts.fct_orders
    where
        purchased_at >= %(first_day)s
        and purchased_at < %(day_after)s
        and handed_to_carrier_at is not null
        and date_trunc('week', handed_to_carrier_at) + interval '14 days' <= %(day_after)s
)

select
    cast(carrier_week + interval '14 days' as date) as monday,
    count(*) as parcels,
    sum(is_on_the_way) as still_on_the_way,
    round(100.0 * sum(is_on_the_way) / count(*), 1) as percent,
    case when count(*) >= 100 and sum(is_on_the_way) > 0.4 * count(*) then 'alarm' else '' end as alarm
from parcels
group by carrier_week
order by carrier_week desc
limit 12
