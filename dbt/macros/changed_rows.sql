{#
    How a daily build touches only what changed.

    `int_changed_keys` lists, per entity, the keys whose rows must be rebuilt. It is built first, from the rows as they
    were before. A model names in `meta.replaces` its entity and the column with that entity's key. The strategy deletes
    the rows of these keys and inserts what the model's query returns for them; tests look only at them. dbt's own
    delete+insert deletes only keys that come back, so a row that vanished would stay indefinitely.
#}

{# Whether this run rebuilds only changed keys; false on a full refresh. #}
{% macro changed_only() -%}
    {%- if var('compile_as') is not none -%}
        {{ return(var('compile_as') == 'incremental') }}
    {%- endif -%}
    {{ return(is_incremental()) }}
{%- endmacro %}


{# `where <column> is one of the entity's changed keys`; nothing on a full refresh. #}
{% macro keep_changed(column, entity, keyword='where') -%}
    {%- set changed_keys = ref('int_changed_keys') -%}
    {%- if changed_only() -%}
        {{ keyword }} {{ column }} in (
            select changed_keys.changed_key
            from {{ changed_keys }} as changed_keys
            where changed_keys.entity = '{{ entity }}'
        )
    {%- endif -%}
{%- endmacro %}


{#
    The last load that the marts of the model's source hold, as a literal: the planner then knows how few rows are newer.
    The model's folder says which source that is (`meta.source` in dbt_project.yml).
#}
{% macro watermark() -%}
    {%- if var('compile_as') is not none or not execute -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set state -%}
        select load_id from {{ source('ops', 'marts_state') }} where source = '{{ config.meta_require('source') }}'
    {%- endset -%}
    {{ return(run_query(state).columns[0].values()[0] or 0) }}
{%- endmacro %}


{# A model's table as the last build left it. Not a ref(): int_changed_keys is built before the models it reads here. #}
{% macro old_rows_of(schema, table) -%}
    {{ api.Relation.create(database=target.database, schema=schema, identifier=table) }}
{%- endmacro %}


{% macro get_incremental_replace_changed_sql(arg_dict) -%}
    {%- set replaces = config.get('meta')['replaces'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ replaces['column'] }} in (
        select changed_key from {{ ref('int_changed_keys') }} where entity = '{{ replaces['entity'] }}'
    )
    {%- for predicate in arg_dict['incremental_predicates'] or [] %}
    and {{ predicate }}
    {%- endfor %};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}


{# For int_changed_keys itself: a killed build's keys stay until a build completes and moves the watermark. #}
{% macro get_incremental_accumulate_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }} where since_load_id <> {{ watermark() }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
    except
    select {{ columns }} from {{ arg_dict['target_relation'] }}
{%- endmacro %}


{#
    The rows of a model that a test looks at: those that this build replaced, or all rows on a full refresh and in
    maintenance. Every generic test gets its model from dbt's macro get_where_subquery, which is overridden here.
#}
{% macro tested_rows_of(relation, where=none) -%}
    {%- set conditions = ['(' ~ where ~ ')'] if where else [] -%}
    {%- if execute and not (var('full_tests') or flags.FULL_REFRESH) -%}
        {#- dbt does not see a ref() in a macro that dbt itself calls -#}
        {%- set changed_keys = old_rows_of('intermediate', 'int_changed_keys') -%}
        {%- set node = graph.nodes.get('model.' ~ project_name ~ '.' ~ relation.identifier, {}) -%}
        {%- set replaces = node.get('config', {}).get('meta', {}).get('replaces') -%}
        {%- if replaces -%}
            {%- do conditions.append(
                replaces['column'] ~ ' in (select changed_key from ' ~ changed_keys
                ~ " where entity = '" ~ replaces['entity'] ~ "')"
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') as tested_rows') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}


{% macro get_where_subquery(relation) -%}
    {{ return(tested_rows_of(relation, config.get('where'))) }}
{%- endmacro %}
