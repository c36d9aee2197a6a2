{# What an unknown member, and every fact that points to none, carries as key. No hash looks like it. #}
{% macro unknown_key() -%}
    'unknown'
{%- endmacro %}


{# When the first version of everything opens. #}
{% macro beginning_of_time() -%}
    cast('1900-01-01 00:00:00' as timestamp)
{%- endmacro %}


{# Hash of a natural key and the moment its version opens: the same after every rebuild and on every engine. #}
{% macro surrogate_key(natural_key, valid_from) -%}
    md5({{ natural_key }} || '|' || to_char({{ valid_from }}, 'YYYY-MM-DD HH24:MI:SS'))
{%- endmacro %}


{# Key of a customer known by an order's customer_id only: marked, so that no person's id can give the same hash. #}
{% macro inferred_customer_key(customer_id) -%}
    {{ surrogate_key("'customer_id:' || " ~ customer_id, beginning_of_time()) }}
{%- endmacro %}


{# dim_date's key of a moment's day; 0, the unknown date, for no moment and for days that dim_date does not hold. #}
{% macro date_key(moment) -%}
    case
        when {{ moment }} >= cast('2000-01-01' as timestamp) and {{ moment }} < cast('2050-01-01' as timestamp)
            then cast(to_char({{ moment }}, 'YYYYMMDD') as integer)
        else 0
    end
{%- endmacro %}


{#
    CTEs ending in `<name>_versions` (key, attributes, valid_from, valid_to): of everything a source said about a key,
    the batches at which an attribute differed from the batch before. Only of changed keys in a daily build.
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
            coalesce(cast({{ attribute }} as varchar), chr(30)) || chr(31){{ ' ||' if not loop.last }}
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


{# What makes a new version of a product; of a seller. Read by the dimension and by the changed keys. #}
{% macro product_attributes() -%}
    {{ return([
        'product_category_name',
        'product_name_length',
        'product_description_length',
        'product_photo_count',
        'product_weight_g',
        'product_length_cm',
        'product_height_cm',
        'product_width_cm',
    ]) }}
{%- endmacro %}


{% macro seller_attributes() -%}
    {{ return(['zip_code_prefix', 'city', 'state']) }}
{%- endmacro %}
