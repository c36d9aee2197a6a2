{#
    Every key of the source is in the model. A daily build looks only at changed keys, so a key that it missed once
    would never come. Runs only in full tests, because it reads everything.
#}
{% test holds_every_key(model, of, columns) %}

{{ config(enabled=var('full_tests')) }}

select {{ columns | join(', ') }}
from {{ of }}
except
select {{ columns | join(', ') }}
from {{ model }}

{% endtest %}
