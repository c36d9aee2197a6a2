{#
    Key of a customer known by an order's customer_id only. What is hashed does not end with a moment, as it does in every
    surrogate_key(), so no person has this key, whatever their id is.
#}
{% macro inferred_customer_key(customer_id) -%}
    md5({{ customer_id }} || '|customer_id')
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


{#
    Kilometres between two rows with latitude and longitude in degrees, along the great circle: the haversine formula (R. W.
    Sinnott, Virtues of the Haversine, Sky and Telescope 68, 1984) on a sphere of 6,371 km; null if a coordinate is. Rounding
    may carry the haversine above 1, which has no root here. (No least(1, ...): in Postgres it makes 1 of null.)
#}
{% macro distance_km(a, b) -%}
    {%- set haversine -%}
        power(sin(radians({{ b }}.latitude - {{ a }}.latitude) / 2), 2)
        + cos(radians({{ a }}.latitude)) * cos(radians({{ b }}.latitude))
        * power(sin(radians({{ b }}.longitude - {{ a }}.longitude) / 2), 2)
    {%- endset -%}
    cast(
        2 * 6371 * asin(sqrt(case when {{ haversine }} > 1 then 1 else {{ haversine }} end))
        as numeric(7, 1)
    )
{%- endmacro %}
