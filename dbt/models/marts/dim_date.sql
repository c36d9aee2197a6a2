{{ config(materialized='table', tags=['static', 'olist'], post_hook='analyze {{ this }}') }}

with digits as (
    {% for digit in range(10) -%}
    select {{ digit }} as digit{{ ' union all' if not loop.last }}
    {% endfor %}
),

numbers as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit + 10000 * more.digit as number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as more
),

days as (
    select cast('2000-01-01' as date) + number as calendar_date
    from numbers
    where number <= cast('2049-12-31' as date) - cast('2000-01-01' as date)
),

final as (
    select
        cast(to_char(calendar_date, 'YYYYMMDD') as integer) as date_key,
        calendar_date,
        cast(extract(year from calendar_date) as integer) as year,
        cast(extract(quarter from calendar_date) as integer) as quarter,
        cast(extract(month from calendar_date) as integer) as month,
        to_char(calendar_date, 'YYYY-MM') as year_month,
        cast(date_trunc('month', calendar_date) as date) as month_start,
        case extract(month from calendar_date)
            when 1 then 'January' when 2 then 'February' when 3 then 'March' when 4 then 'April' when 5 then 'May'
            when 6 then 'June' when 7 then 'July' when 8 then 'August' when 9 then 'September'
            when 10 then 'October' when 11 then 'November' else 'December'
        end as month_name,
        cast(to_char(calendar_date, 'IYYY') as integer) as iso_year,
        cast(extract(week from calendar_date) as integer) as iso_week,
        cast(extract(day from calendar_date) as integer) as day_of_month,
        cast(case when extract(dow from calendar_date) = 0 then 7 else extract(dow from calendar_date) end as integer)
            as day_of_week,
        case extract(dow from calendar_date)
            when 1 then 'Monday' when 2 then 'Tuesday' when 3 then 'Wednesday' when 4 then 'Thursday'
            when 5 then 'Friday' when 6 then 'Saturday' else 'Sunday'
        end as day_name,
        extract(dow from calendar_date) in (0, 6) as is_weekend,
        false as is_inferred
    from days
    union all
    select
        0 as date_key,
        cast(null as date) as calendar_date,
        cast(null as integer) as year,
        cast(null as integer) as quarter,
        cast(null as integer) as month,
        'unknown' as year_month,
        cast(null as date) as month_start,
        'unknown' as month_name,
        cast(null as integer) as iso_year,
        cast(null as integer) as iso_week,
        cast(null as integer) as day_of_month,
        cast(null as integer) as day_of_week,
        'unknown' as day_name,
        false as is_weekend,
        true as is_inferred
)

select * from final
