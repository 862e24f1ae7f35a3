<input type="hidden" name="form" value="{{visit.form_token()}}">
<input type="hidden" name="back" value="{{back}}">
