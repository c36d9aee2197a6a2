{{ config(
    meta={'replaces': {'column': 'zip_code_prefix', 'entity': 'zip_code'}},
    incremental_predicates=["not is_inferred"],
) }}

with places as (
    select distinct
        zip_code_prefix,
        latitude,
        longitude,
        city,
        state
    from {{ ref('stg_geolocation') }}
    where
        zip_code_prefix is not null
    {{ keep_changed('zip_code_prefix', 'zip_code', keyword='and') }}
),

zip_codes as (
    select
        zip_code_prefix,
        count(latitude) as latitude_count,
        count(longitude) as longitude_count
    from places
    group by zip_code_prefix
),

-- The median (the lower of two middle values): percentile_disc(0.5), written so that Redshift accepts it too.
ranked_latitudes as (
    select
        zip_code_prefix,
        latitude,
        row_number() over (partition by zip_code_prefix order by latitude) as position
    from places
    where latitude is not null
),

ranked_longitudes as (
    select
        zip_code_prefix,
        longitude,
        row_number() over (partition by zip_code_prefix order by longitude) as position
    from places
    where longitude is not null
),

places_per_city as (
    select
        zip_code_prefix,
        city,
        count(*) as place_count
    from places
    where city is not null
    group by zip_code_prefix, city
),

places_per_state as (
    select
        zip_code_prefix,
        state,
        count(*) as place_count
    from places
    where state is not null
    group by zip_code_prefix, state
),

ranked_cities as (
    select
        zip_code_prefix,
        city,
        row_number() over (partition by zip_code_prefix order by place_count desc, city asc) as precedence
    from places_per_city
),

ranked_states as (
    select
        zip_code_prefix,
        state,
        row_number() over (partition by zip_code_prefix order by place_count desc, state asc) as precedence
    from places_per_state
),

members as (
    select
        zip_codes.zip_code_prefix,
        coalesce(ranked_cities.city, 'unknown') as city,
        coalesce(ranked_states.state, 'unknown') as state,
        ranked_latitudes.latitude,
        ranked_longitudes.longitude,
        false as is_inferred
    from zip_codes
    left join ranked_cities
        on zip_codes.zip_code_prefix = ranked_cities.zip_code_prefix and ranked_cities.precedence = 1
    left join ranked_states
        on zip_codes.zip_code_prefix = ranked_states.zip_code_prefix and ranked_states.precedence = 1
    left join ranked_latitudes
        on
            zip_codes.zip_code_prefix = ranked_latitudes.zip_code_prefix
            and ranked_latitudes.position = (zip_codes.latitude_count + 1) / 2
    left join ranked_longitudes
        on
            zip_codes.zip_code_prefix = ranked_longitudes.zip_code_prefix
            and ranked_longitudes.position = (zip_codes.longitude_count + 1) / 2
    {% if not changed_only() %}
    union all
    select
        'unknown' as zip_code_prefix,
        'unknown' as city,
        'unknown' as state,
        cast(null as double precision) as latitude,
        cast(null as double precision) as longitude,
        true as is_inferred
    {% endif %}
),

final as (
    select
        zip_code_prefix,
        city,
        state,
        latitude,
        longitude,
        is_inferred
    from members
)

select * from final
