% if with_recovery:
<label for="code">{{t('code.recovery_label')}}</label>
<input id="code" name="code" autocomplete="off" autocapitalize="none" spellcheck="false" required maxlength="40" placeholder="xxxx-xxxx-xxxx-xxxx" autofocus\\
% else:
<label for="code">{{t('code.label')}}</label>
<input class="code" id="code" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]*" required maxlength="7" autofocus\\
% end
% if problem:
 aria-invalid="true" aria-describedby="code-problem"\\
% end
>
