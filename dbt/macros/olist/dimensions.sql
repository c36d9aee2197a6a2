{# Key of a customer known by an order's customer_id only: marked, so that no person's id can give the same hash. #}
{% macro inferred_customer_key(customer_id) -%}
    {{ surrogate_key("'customer_id:' || " ~ customer_id, beginning_of_time()) }}
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
