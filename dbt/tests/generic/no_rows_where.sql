{# What should not be, and yet may come from the source: a comparison of columns. Used with severity warn. #}
{% test no_rows_where(model, condition) %}

select *
from {{ model }}
where {{ condition }}

{% endtest %}
