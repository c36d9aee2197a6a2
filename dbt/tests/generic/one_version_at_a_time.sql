{#
    The windows of one natural key follow each other without gap or overlap, the first opens at 1900-01-01, and exactly
    one is current. An inferred member counts as a separate key: its id may be that of a customer row, not of a person.
    The unknown member is left out: a source may have a key `unknown` itself.
#}
{% test one_version_at_a_time(model, natural_key, surrogate_key) %}

with versions as (
    select
        {{ natural_key }},
        is_inferred,
        valid_from,
        valid_to,
        is_current,
        row_number() over (partition by {{ natural_key }}, is_inferred order by valid_from) as version_number,
        lead(valid_from) over (partition by {{ natural_key }}, is_inferred order by valid_from) as next_valid_from
    from {{ model }}
    where {{ surrogate_key }} <> 'unknown'
)

select *
from versions
where
    (version_number = 1 and valid_from <> {{ beginning_of_time() }})
    or valid_to <= valid_from
    or (next_valid_from is null and valid_to is not null)
    or (next_valid_from is not null and (valid_to is null or valid_to <> next_valid_from))
    or is_current <> (valid_to is null)

{% endtest %}
