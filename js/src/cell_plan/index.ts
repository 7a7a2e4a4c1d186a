export default {render(){return ()=>{}}};
