{#
    Every key of the source is in the model: a daily build looks at changed keys only, and what it once missed would never
    come. In full tests only, for it reads everything.
#}
{% test holds_every_key(model, of, columns) %}

{{ config(enabled=var('full_tests')) }}

select {{ columns | join(', ') }}
from {{ of }}
except
select {{ columns | join(', ') }}
from {{ model }}

{% endtest %}
