{# The key of the unknown member, and of every fact without a member. No hash looks like it. #}
{% macro unknown_key() -%}
    'unknown'
{%- endmacro %}


{# When the first version of every member opens. #}
{% macro beginning_of_time() -%}
    cast('1900-01-01 00:00:00' as timestamp)
{%- endmacro %}


{#
    Hash of a natural key and the moment when its version opens: the same after every rebuild and on every engine. The
    moment always has 19 characters, so no two pairs give the same text, whatever characters the key holds.
#}
{% macro surrogate_key(natural_key, valid_from) -%}
    md5({{ natural_key }} || '|' || to_char({{ valid_from }}, 'YYYY-MM-DD HH24:MI:SS'))
{%- endmacro %}


{# dim_date's key of a moment's day; 0, the unknown date, for null and for days that dim_date does not hold. #}
{% macro date_key(moment) -%}
    case
        when {{ moment }} >= cast('2000-01-01' as timestamp) and {{ moment }} < cast('2050-01-01' as timestamp)
            then cast(to_char({{ moment }}, 'YYYYMMDD') as integer)
        else 0
    end
{%- endmacro %}


{#
    CTEs ending in `<name>_versions` (key, attributes, valid_from, valid_to): one version per batch in which an
    attribute of the key differs from the batch before. A daily build makes only the versions of changed keys. What is
    hashed has the length of each value before it, so that no two rows give the same text.
#}
{% macro versions_by_batch(name, rows, key, attributes, entity=none, keys=none) -%}
{{ name }}_rows as (
    select
        {{ key }},
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        _batch_date,
        md5(
            {%- for attribute in attributes %}
            coalesce(
                cast(length(cast({{ attribute }} as varchar)) as varchar) || ':' || cast({{ attribute }} as varchar), '-'
            ) || ','{{ ' ||' if not loop.last }}
            {%- endfor %}
        ) as attributes_hash
    from {{ rows }}
    {% if keys -%}
    where {{ key }} in (select {{ keys }}.{{ key }} from {{ keys }})
    {%- else -%}
    {{ keep_changed(key, entity) }}
    {%- endif %}
),

{{ name }}_rows_before as (
    select
        {{ name }}_rows.*,
        lag(attributes_hash) over (partition by {{ key }} order by _batch_date) as previous_hash
    from {{ name }}_rows
),

{{ name }}_starts as (
    select
        {{ name }}_rows_before.*,
        row_number() over (partition by {{ key }} order by _batch_date) as version_number,
        lead(_batch_date) over (partition by {{ key }} order by _batch_date) as next_batch_date
    from {{ name }}_rows_before
    where previous_hash is null or previous_hash <> attributes_hash
),

{{ name }}_versions as (
    select
        {{ key }},
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        case when version_number = 1 then {{ beginning_of_time() }} else cast(_batch_date as timestamp) end as valid_from,
        cast(next_batch_date as timestamp) as valid_to
    from {{ name }}_starts
)
{%- endmacro %}


{#
    Columns of a member of which only the key is known. `attributes`: column -> type; a text is 'unknown', any other value
    null.
#}
{% macro undescribed(attributes) -%}
    {%- for attribute, type in attributes.items() -%}
    {{ "'unknown'" if type == 'text' else 'cast(null as ' ~ type ~ ')' }} as {{ attribute }},
    {% endfor -%}
    {{ beginning_of_time() }} as valid_from,
    cast(null as timestamp) as valid_to,
    true as is_inferred
{%- endmacro %}


{#
    The CTE `members` of a dimension: the rows of `ctes` (natural key, attributes, valid_from, valid_to, is_inferred), each
    with its surrogate key in front, then the unknown member. A daily build leaves out the latter: it is there already.
    `keys`: CTE -> surrogate key, for a CTE that does not take the hash of natural key and valid_from.
#}
{% macro members(key, natural_key, attributes, ctes, keys={}) -%}
members as (
    {%- for cte in ctes %}
    {{ 'union all' if not loop.first }}
    select
        {{ keys.get(cte) or surrogate_key(natural_key, 'valid_from') }} as {{ key }},
        {{ cte }}.*
    from {{ cte }}
    {%- endfor %}
    {% if not changed_only() -%}
    union all
    select
        {{ unknown_key() }} as {{ key }},
        'unknown' as {{ natural_key }},
        {{ undescribed(attributes) | indent }}
    {%- endif %}
)
{%- endmacro %}
