{# No row meets the condition, a comparison of columns. The source may send such rows, so use it with severity warn. #}
{% test no_rows_where(model, condition) %}

select *
from {{ model }}
where {{ condition }}

{% endtest %}
