-- The full months of the data: the longest run of months that have an order on four of five days or more (of two runs
-- of the same length, the later one). The other months are fragments: the beginning and the end of an export.
-- One row: the first day and the day after the last one; empty without such a month.
with days as (select distinct purchase_date_key from marts.fct_orders),

months as (
    select
        dim_date.year * 12 + dim_date.month as month_number,
        min(dim_date.calendar_date) as first_day,
        max(dim_date.calendar_date) + 1 as day_after
    from marts.dim_date
    left join days
        on dim_date.date_key = days.purchase_date_key
    where dim_date.date_key <> 0
    group by dim_date.year, dim_date.month
    having count(days.purchase_date_key) >= 0.8 * count(*)
),

runs as (
    select
        first_day,
        day_after,
        month_number - row_number() over (order by month_number) as run
    from months
)

select
    min(first_day) as first_day,
    max(day_after) as day_after
from runs
group by run
order by count(*) desc, run desc
limit 1
