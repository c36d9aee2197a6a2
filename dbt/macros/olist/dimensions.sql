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
